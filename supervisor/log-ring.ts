/** Kept of each process's output, for `logs`: its last lines, and at most this many bytes of them. */
const KEPT_LINES = 1_000
const KEPT_BYTES = 1 << 20

export type LogRing = ReturnType<typeof createLogRing>

interface Block {
  readonly at: number
  readonly text: string
}

/** Two halves, outside of V8's heap: the younger one is written to, and when it is full it becomes the older one. */
interface Kept {
  younger: Buffer
  older: Buffer
  used: number
  olderUsed: number
}

/** Before each block: its number among all blocks (double) and its length (uint32). */
const HEADER = 12

/** Blocks are kept as they are, and cut into lines only when somebody asks. */
export function createLogRing() {
  const kept = new Map<string, Kept>()
  const followers = new Set<(name: string, block: Buffer) => void>()
  let at = 0
  return {
    /** HOT: one formatted block, which ends with "\n"; copied, since the memory is the caller's. */
    add(name: string, block: Buffer): void {
      let own = kept.get(name)
      if (own === undefined) {
        own = { younger: newHalf(), older: newHalf(), used: 0, olderUsed: 0 }
        kept.set(name, own)
      }
      put(own, at++, block)
      if (followers.size === 0) return
      const copy = Buffer.from(block)
      for (const follower of followers) follower(name, copy)
    },
    /** Who has written anything. */
    names: (): string[] => [...kept.keys()],
    /** The last lines of the processes that `wanted` names, as byte string, in the order in which they came. */
    read: (wanted: (name: string) => boolean): string =>
      [...kept]
        .filter(([name]) => wanted(name))
        .flatMap(([, own]) => lastLines([...blocksOf(own.older, own.olderUsed), ...blocksOf(own.younger, own.used)]))
        .toSorted((a, b) => a.at - b.at)
        .map((block) => block.text)
        .join(''),
    /** Hands on a copy of every block from now; returns how to stop that. */
    follow(onBlock: (name: string, block: Buffer) => void): () => void {
      followers.add(onBlock)
      return () => followers.delete(onBlock)
    },
  }
}

/** Costs memory only as far as it is written to. */
const newHalf = () => Buffer.allocUnsafeSlow(KEPT_BYTES / 2)

function put(own: Kept, at: number, block: Buffer): void {
  const most = own.younger.length - HEADER
  const end = block.length > most ? block.subarray(block.indexOf('\n', block.length - most) + 1) : block
  if (own.used + HEADER + end.length > own.younger.length) {
    const { younger, older, used } = own
    Object.assign(own, { younger: older, older: younger, used: 0, olderUsed: used })
  }
  own.younger.writeDoubleLE(at, own.used)
  own.younger.writeUInt32LE(end.length, own.used + 8)
  own.used += HEADER + end.copy(own.younger, own.used + HEADER)
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
