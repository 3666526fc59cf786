import { isIP } from 'node:net'
import type { Config } from '../../config.ts'
import { hostName } from './request-facts.ts'

/**
 * Is the request meant for this console? A page elsewhere can point its own name at this machine (DNS rebinding) and would then be "same
 * origin"; it needs a name for that, so addresses are always fine. Where the public URL is unknown in production, every name has to do: there the
 * password guards, and a session is worth something only at the host where it began.
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
