/** Ids that are not to be run. Those of the last hours are enough: a message that is older has its `expires`. */
export interface Revoked {
  add(id: string): void
  has(id: string): boolean
  ids(): string[]
}

/** As Celery's `REVOKES_MAX` and `REVOKE_EXPIRES` (worker/state.py): bounds of what one worker remembers. */
const MAX_IDS = 50_000
const FORGET_MS = 3 * 3600 * 1000

/** In memory: a worker that is started again has forgotten them. */
export function createRevoked(now: () => number = Date.now): Revoked {
  const at = new Map<string, number>()
  const forget = () => {
    const since = now() - FORGET_MS
    for (const [id, when] of at) {
      if (when > since && at.size <= MAX_IDS) return
      at.delete(id)
    }
  }
  return {
    add(id) {
      at.delete(id)
      at.set(id, now())
      forget()
    },
    // HOT: once per task.
    has(id) {
      if (at.size === 0 || !at.has(id)) return false
      forget()
      return at.has(id)
    },
    ids() {
      forget()
      return [...at.keys()]
    },
  }
}
