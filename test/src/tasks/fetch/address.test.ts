import { describe, expect, test } from 'vitest'
import { isPublicAddress } from '../../../../src/tasks/fetch/address.ts'

describe('an address is not public if it', () => {
  test.each([
    ['is this network', '0.0.0.0'],
    ['is private, class A', '10.1.2.3'],
    ['is carrier-grade NAT', '100.64.0.1'],
    ['is loopback', '127.0.0.1'],
    ['is any loopback', '127.255.255.254'],
    ['is link-local, where the metadata services live', '169.254.169.254'],
    ['is private, class B', '172.16.0.1'],
    ['is the end of private class B', '172.31.255.255'],
    ['is a protocol assignment', '192.0.0.1'],
    ['is documentation 1', '192.0.2.1'],
    ['is documentation 2', '198.51.100.1'],
    ['is documentation 3', '203.0.113.1'],
    ['is a 6to4 relay', '192.88.99.1'],
    ['is private, class C', '192.168.1.1'],
    ['is a benchmark network', '198.19.0.1'],
    ['is multicast', '224.0.0.1'],
    ['is reserved', '240.0.0.1'],
    ['is broadcast', '255.255.255.255'],
    ['is the platform address of Azure', '168.63.129.16'],
    ['is IPv6 loopback', '::1'],
    ['is unspecified', '::'],
    ['is IPv4 mapped', '::ffff:127.0.0.1'],
    ['is a public IPv4 address, mapped', '::ffff:8.8.8.8'],
    ['is IPv4 compatible', '::127.0.0.1'],
    ['is IPv4 translated', '::ffff:0:127.0.0.1'],
    ['is NAT64', '64:ff9b::7f00:1'],
    ['is unique local', 'fd00::1'],
    ['is the metadata service of AWS', 'fd00:ec2::254'],
    ['is link-local IPv6', 'fe80::1'],
    ['is link-local IPv6 with a zone', 'fe80::1%eth0'],
    ['has a zone although it is public', '2606:4700::1111%eth0'],
    ['is multicast IPv6', 'ff02::1'],
    ['is Teredo', '2001:0:4136:e378::1'],
    ['is documentation IPv6', '2001:db8::1'],
    ['is 6to4 of a loopback address', '2002:7f00:1::'],
    ['is documentation IPv6 of 2024', '3fff::1'],
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
])('treats %s as public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})
