/** Kept of each process's output, for `logs`: its last lines, and no more than this many bytes of them. */
export const KEPT_LINES = 1_000
const KEPT_BYTES = 1 << 20

export interface LogRing {
  /** HOT: one formatted block, which ends with "\n". */
  add(name: string, block: string): void
  /** The last lines of the processes that `wanted` names, in the order in which they came. */
  read(wanted: (name: string) => boolean): string
  /** Hands on every block from now; returns how to stop that. */
  follow(onBlock: (name: string, block: string) => void): () => void
}

/** Blocks are kept as they are and cut into lines only when somebody asks. */
export function createLogRing(): LogRing {
  const kept = new Map<string, { blocks: { at: number; text: string }[]; bytes: number }>()
  const followers = new Set<(name: string, block: string) => void>()
  let at = 0
  return {
    add(name, text) {
      const own = kept.get(name) ?? { blocks: [], bytes: 0 }
      kept.set(name, own)
      own.blocks.push({ at: at++, text })
      own.bytes += text.length
      while (own.bytes > KEPT_BYTES && own.blocks.length > 1) own.bytes -= own.blocks.shift()!.text.length
      for (const follower of followers) follower(name, text)
    },
    read: (wanted) =>
      [...kept]
        .filter(([name]) => wanted(name))
        .flatMap(([, { blocks }]) => lastLines(blocks))
        .toSorted((a, b) => a.at - b.at)
        .map((block) => block.text)
        .join(''),
    follow(onBlock) {
      followers.add(onBlock)
      return () => followers.delete(onBlock)
    },
  }
}

function lastLines(blocks: readonly { at: number; text: string }[]): { at: number; text: string }[] {
  const last: { at: number; text: string }[] = []
  let room = KEPT_LINES
  for (const { at, text } of blocks.toReversed()) {
    if (room === 0) break
    const lines = text.split('\n').slice(0, -1).slice(-room)
    room -= lines.length
    last.push({ at, text: `${lines.join('\n')}\n` })
  }
  return last
}
