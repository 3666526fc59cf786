/** Which IP addresses are public. Pure: the same answer for a literal in a URL, an answer of DNS, and the far end of a socket. */
import { BlockList, isIP } from 'node:net'

/** Not public IPv4 (IANA special-purpose registry, RFC 6890 and its updates), and Azure's platform address, which looks public. */
const PRIVATE_V4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['168.63.129.16', 32],
]

/** IPv6 is judged the other way round, by what is allowed: a list of what is not misses forms such as `::127.0.0.1`. */
const PUBLIC_V6 = ['2000::', 3] as const
/** Inside of it: Teredo, ORCHID and benchmarks; documentation; 6to4, which carries any IPv4; documentation again. */
const PRIVATE_V6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

let lists: { privateV4: BlockList; publicV6: BlockList; privateV6: BlockList } | undefined

function loadLists() {
  const [privateV4, publicV6, privateV6] = [new BlockList(), new BlockList(), new BlockList()]
  for (const [network, prefix] of PRIVATE_V4) privateV4.addSubnet(network, prefix, 'ipv4')
  publicV6.addSubnet(...PUBLIC_V6, 'ipv6')
  for (const [network, prefix] of PRIVATE_V6) privateV6.addSubnet(network, prefix, 'ipv6')
  return { privateV4, publicV6, privateV6 }
}

/** Is it an address that anyone on the Internet could mean? An IPv6 zone (`fe80::1%eth0`) or anything that is no address: no. */
export function isPublicAddress(address: string): boolean {
  lists ??= loadLists()
  const family = isIP(address)
  if (family === 4) return !lists.privateV4.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  return lists.publicV6.check(address, 'ipv6') && !lists.privateV6.check(address, 'ipv6')
}
