import type { Address } from './address.ts'

/**
 * The `-c` settings of the embedded server, on the command line so that no edited file changes what we rely on. They suit one small machine
 * (512 MB for everything) that runs three or four processes of ours. Explained in docs/adr/0005-embedded-postgresql.md.
 */
export function serverSettings(major: number, address: Address): Record<string, string> {
  return { ...reachedAt(address), ...DURABLE, ...SMALL, ...TERSE, ...(major >= 18 ? SINCE_18 : {}) }
}

function reachedAt(address: Address): Record<string, string> {
  if (address.kind === 'tcp') return { listen_addresses: '127.0.0.1', port: String(address.port), unix_socket_directories: '' }
  return {
    listen_addresses: '',
    port: String(address.port),
    // A list: quoted, because a folder's name may contain a comma.
    unix_socket_directories: `"${address.directory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
  }
}

/** Nothing that was acknowledged may be lost, whatever a file in the data directory says. */
const DURABLE = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' }

const SMALL = {
  max_connections: '50',
  shared_buffers: '32MB',
  maintenance_work_mem: '32MB',
  effective_cache_size: '256MB',
  huge_pages: 'off',
  // Compiling a query costs more than any of ours runs, and memory.
  jit: 'off',
  // No parallel queries: they need /dev/shm, which is 64 MB in a container, and processors that a dyno does not have.
  max_worker_processes: '2',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  autovacuum_max_workers: '2',
  // The queue's table changes all the time: look at it more often than once a minute.
  autovacuum_naptime: '15s',
  // Nobody replicates this server: less WAL, one process less.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  // Disk, and the length of a crash recovery.
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  timezone: 'UTC',
}

/** One line for each event of the server, in a log that others share. No statements: they contain people's data. */
const TERSE = {
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '%q[%p] ',
  log_min_messages: 'warning',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  log_autovacuum_min_duration: '-1',
  log_timezone: 'UTC',
  lc_messages: 'C',
  // Seen in ps: "postgres: onedyno: checkpointer".
  cluster_name: 'onedyno',
}

/** 18 reads through three worker processes unless told otherwise, and keeps room for 16 vacuum workers. */
const SINCE_18 = { io_method: 'sync', autovacuum_worker_slots: '2' }
