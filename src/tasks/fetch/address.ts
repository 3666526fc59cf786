/**
 * Distinguishes public IP addresses from private ones. Pure. Used for addresses in URLs, in DNS answers and of connected
 * sockets.
 */
import { BlockList, isIP } from 'node:net'

/**
 * IPv4 networks that are not public (IANA special-purpose registry, RFC 6890), and 168.63.129.16, the internal platform address
 * of Azure.
 */
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

/** The only public IPv6 network. A list of private networks would miss forms such as `::127.0.0.1`. */
const PUBLIC_V6 = ['2000::', 3] as const
/** Networks within PUBLIC_V6 that are not public. */
const PRIVATE_V6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23], // Teredo, ORCHID, benchmarks
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4, which can carry any IPv4 address
  ['3fff::', 20], // documentation (RFC 9637)
]

let lists: { privateV4: BlockList; publicV6: BlockList; privateV6: BlockList } | undefined

function loadLists() {
  const [privateV4, publicV6, privateV6] = [new BlockList(), new BlockList(), new BlockList()]
  for (const [network, prefix] of PRIVATE_V4) privateV4.addSubnet(network, prefix, 'ipv4')
  publicV6.addSubnet(...PUBLIC_V6, 'ipv6')
  for (const [network, prefix] of PRIVATE_V6) privateV6.addSubnet(network, prefix, 'ipv6')
  return { privateV4, publicV6, privateV6 }
}

/**
 * Returns true for a public address. Returns false for an address with an IPv6 zone (`fe80::1%eth0`) and for a text that is not
 * an address.
 */
export function isPublicAddress(address: string): boolean {
  lists ??= loadLists()
  const family = isIP(address)
  if (family === 4) return !lists.privateV4.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  return lists.publicV6.check(address, 'ipv6') && !lists.privateV6.check(address, 'ipv6')
}
