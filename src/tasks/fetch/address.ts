/** Tells public IP addresses from private ones. Pure. Checks addresses in URLs, in DNS answers and of connected sockets. */
import { BlockList, isIP } from 'node:net'

/** IPv4 networks that are not public (IANA special-purpose registry, RFC 6890), and 168.63.129.16, Azure's internal platform address. */
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

/** IPv6 uses an allow list, because a list of private networks misses forms such as `::127.0.0.1`. */
const PUBLIC_V6 = ['2000::', 3] as const
/** Exceptions within it: Teredo, ORCHID and benchmarks; documentation; 6to4, which can carry any IPv4 address; documentation. */
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

/** True for a public address. False for an address with an IPv6 zone (`fe80::1%eth0`) and for text that is not an address. */
export function isPublicAddress(address: string): boolean {
  lists ??= loadLists()
  const family = isIP(address)
  if (family === 4) return !lists.privateV4.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  return lists.publicV6.check(address, 'ipv6') && !lists.privateV6.check(address, 'ipv6')
}
