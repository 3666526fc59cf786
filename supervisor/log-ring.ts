/** Maximum number of lines that `logs` shows of each process. */
const KEPT_LINES = 1_000
/** Maximum number of bytes that are stored of each process. */
const KEPT_BYTES = 1 << 20

export type LogRing = ReturnType<typeof createLogRing>

interface Block {
  readonly at: number
  readonly text: string
}

/**
 * The last output of one process, in two buffers outside V8's heap. When the younger buffer is full, it becomes the older
 * buffer.
 */
interface Tail {
  younger: Buffer
  older: Buffer
  used: number
  olderUsed: number
}

/** Bytes before each block: its number among all blocks (double) and its length (uint32). */
const HEADER = 12

/** Stores formatted blocks of all processes. They are cut into lines only when `read` is called. */
export function createLogRing() {
  const tails = new Map<string, Tail>()
  const followers = new Set<(name: string, block: Buffer) => void>()
  let at = 0
  return {
    /** Stores a copy of one formatted block, which ends with "\n". HOT. */
    add(name: string, block: Buffer): void {
      let tail = tails.get(name)
      if (tail === undefined) {
        tail = { younger: newHalf(), older: newHalf(), used: 0, olderUsed: 0 }
        tails.set(name, tail)
      }
      put(tail, at++, block)
      if (followers.size === 0) return
      const copy = Buffer.from(block)
      for (const follower of followers) follower(name, copy)
    },
    /** Returns the names of the processes that have written output. */
    names: (): string[] => [...tails.keys()],
    /** Returns the last lines of the processes for which `wanted` returns true, as a byte string in the order of arrival. */
    read: (wanted: (name: string) => boolean): string =>
      [...tails]
        .filter(([name]) => wanted(name))
        .flatMap(([, tail]) => lastLines([...blocksOf(tail.older, tail.olderUsed), ...blocksOf(tail.younger, tail.used)]))
        .toSorted((a, b) => a.at - b.at)
        .map((block) => block.text)
        .join(''),
    /** Calls `onBlock` with a copy of each new block. Returns a function that ends these calls. */
    follow(onBlock: (name: string, block: Buffer) => void): () => void {
      followers.add(onBlock)
      return () => followers.delete(onBlock)
    },
  }
}

/** Allocates one half. The operating system gives memory only to the part that is written. */
const newHalf = () => Buffer.allocUnsafeSlow(KEPT_BYTES / 2)

function put(tail: Tail, at: number, block: Buffer): void {
  const most = tail.younger.length - HEADER
  const end = block.length > most ? block.subarray(block.indexOf('\n', block.length - most) + 1) : block
  if (tail.used + HEADER + end.length > tail.younger.length) {
    const { younger, older, used } = tail
    Object.assign(tail, { younger: older, older: younger, used: 0, olderUsed: used })
  }
  tail.younger.writeDoubleLE(at, tail.used)
  tail.younger.writeUInt32LE(end.length, tail.used + 8)
  tail.used += HEADER + end.copy(tail.younger, tail.used + HEADER)
}

function* blocksOf(half: Buffer, used: number): Generator<Block> {
  for (let from = 0; from < used; ) {
    const start = from + HEADER
    const end = start + half.readUInt32LE(from + 8)
    yield { at: half.readDoubleLE(from), text: half.toString('latin1', start, end) }
    from = end
  }
}

function lastLines(blocks: readonly Block[]): Block[] {
  const last: Block[] = []
  let room = KEPT_LINES
  for (const { at, text } of blocks.toReversed()) {
    if (room === 0) break
    const lines = text.split('\n').slice(0, -1).slice(-room)
    room -= lines.length
    last.push({ at, text: `${lines.join('\n')}\n` })
  }
  return last
}
