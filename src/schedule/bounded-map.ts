/** Adds an entry to a map that is a cache. If the map already holds `limit` entries, drops the oldest entry. */
export const remember = <K, V>(map: Map<K, V>, limit: number, entry: readonly [key: K, value: V]): V => {
  if (map.size >= limit) map.delete(map.keys().next().value!)
  map.set(entry[0], entry[1])
  return entry[1]
}
