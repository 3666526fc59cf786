import { describe, expect, test } from 'vitest'
import { isPublicAddress } from '../../../../src/tasks/fetch/address.ts'

describe('an address is not public if it', () => {
  test.each([
    ['is in the network 0.0.0.0/8', '0.0.0.0'],
    ['is a private address of class A', '10.1.2.3'],
    ['is an address of carrier-grade NAT', '100.64.0.1'],
    ['is the IPv4 loopback address', '127.0.0.1'],
    ['is another IPv4 loopback address', '127.255.255.254'],
    ['is link-local, where the metadata services live', '169.254.169.254'],
    ['is the first private address of class B', '172.16.0.1'],
    ['is the last private address of class B', '172.31.255.255'],
    ['is a protocol assignment', '192.0.0.1'],
    ['is in the first network for documentation', '192.0.2.1'],
    ['is in the second network for documentation', '198.51.100.1'],
    ['is in the third network for documentation', '203.0.113.1'],
    ['is a 6to4 relay', '192.88.99.1'],
    ['is a private address of class C', '192.168.1.1'],
    ['is in the network for benchmarks', '198.19.0.1'],
    ['is an IPv4 multicast address', '224.0.0.1'],
    ['is reserved', '240.0.0.1'],
    ['is the broadcast address', '255.255.255.255'],
    ['is the platform address of Azure', '168.63.129.16'],
    ['is the IPv6 loopback address', '::1'],
    ['is the unspecified IPv6 address', '::'],
    ['is the IPv4-mapped loopback address', '::ffff:127.0.0.1'],
    ['is an IPv4-mapped public address', '::ffff:8.8.8.8'],
    ['is the IPv4-compatible loopback address', '::127.0.0.1'],
    ['is the IPv4-translated loopback address', '::ffff:0:127.0.0.1'],
    ['is a NAT64 address of loopback', '64:ff9b::7f00:1'],
    ['is a unique local IPv6 address', 'fd00::1'],
    ['is the metadata service of AWS', 'fd00:ec2::254'],
    ['is a link-local IPv6 address', 'fe80::1'],
    ['is a link-local IPv6 address with a zone', 'fe80::1%eth0'],
    ['has a zone', '2606:4700::1111%eth0'],
    ['is an IPv6 multicast address', 'ff02::1'],
    ['is a Teredo address', '2001:0:4136:e378::1'],
    ['is in the IPv6 network for documentation', '2001:db8::1'],
    ['is a 6to4 address of loopback', '2002:7f00:1::'],
    ['is in the IPv6 network for documentation of 2024', '3fff::1'],
    ['is no address', 'example.org'],
    ['is empty', ''],
  ])('%s: %s', (_why, address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '168.63.129.17',
  '192.0.1.1',
  '2606:4700::1111',
  '2a00:1450:4001::200e',
])('the address %s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})
