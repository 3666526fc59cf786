import type { Address } from './address.ts'

/**
 * Returns the `-c` settings of the embedded server. They are on the command line, so that an edited file cannot override them.
 * They suit a small machine (512 MB of memory) that also runs three or four processes of onedyno. Reasons:
 * docs/adr/0005-embedded-postgresql.md.
 */
export function serverSettings(major: number, address: Address): Record<string, string> {
  return { ...reachedAt(address), ...DURABLE, ...SMALL, ...TERSE, ...(major >= 18 ? SINCE_18 : {}) }
}

function reachedAt(address: Address): Record<string, string> {
  if (address.kind === 'tcp') return { listen_addresses: '127.0.0.1', port: String(address.port), unix_socket_directories: '' }
  return {
    listen_addresses: '',
    port: String(address.port),
    // The setting is a list, so the path is quoted: a folder's name may contain a comma.
    unix_socket_directories: `"${address.directory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
  }
}

/** Committed data must not be lost, even if a file in the data directory sets other values. */
const DURABLE = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' }

const SMALL = {
  max_connections: '50',
  shared_buffers: '32MB',
  maintenance_work_mem: '32MB',
  effective_cache_size: '256MB',
  huge_pages: 'off',
  // Compiling a query of onedyno takes longer than running it, and needs memory.
  jit: 'off',
  // Parallel queries need /dev/shm, which has only 64 MB in a container, and more processors than a dyno has.
  max_worker_processes: '2',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  autovacuum_max_workers: '2',
  // The message table changes constantly, so autovacuum runs more often than once a minute.
  autovacuum_naptime: '15s',
  // Without replication the server writes less WAL and needs one process less.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  // Limits disk usage and the time that recovery after a crash takes.
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  timezone: 'UTC',
}

/**
 * One line per event, because other processes write to the same log. Statements are not logged, because they contain personal
 * data.
 */
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
  // `ps` shows this name: "postgres: onedyno: checkpointer".
  cluster_name: 'onedyno',
}

/** By default version 18 reads through three worker processes and reserves memory for 16 autovacuum workers. */
const SINCE_18 = { io_method: 'sync', autovacuum_worker_slots: '2' }
