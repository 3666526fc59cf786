import { isIP } from 'node:net'
import type { Config } from '../../config.ts'
import { hostName } from './request-facts.ts'

/**
 * Checks that the Host header names this console. A foreign page can point its own name at this machine (DNS rebinding) and
 * would then have the same origin. The attack needs a name, so IP addresses are always allowed. In production without PUBLIC_URL
 * every name is allowed, because the password protects the console, and a session is valid only for the host where it began.
 */
export function createHostCheck(config: Pick<Config, 'publicUrl' | 'production'>): (host: string | undefined) => boolean {
  const publicHost = config.publicUrl === undefined ? undefined : new URL(config.publicUrl).hostname.replace(/^\[(.*)\]$/, '$1')
  return (header) => {
    const name = hostName(header)
    if (name === '') return false
    if (name === publicHost || name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0) return true
    return config.production && publicHost === undefined
  }
}
