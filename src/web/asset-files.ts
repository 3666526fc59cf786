import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.ts'

const FILES = [
  ['console.css', 'text/css; charset=utf-8'],
  ['console.js', 'text/javascript; charset=utf-8'],
  ['icon.svg', 'image/svg+xml'],
] as const

export type AssetName = (typeof FILES)[number][0]

export interface Asset {
  /** The URL contains a digest of the content, so browsers may cache the asset for ever. */
  readonly url: string
  readonly type: string
  readonly content: Buffer
}

/** Reads the asset files once. Requests read this table and never the disk, so no path can lead out of the folder. */
export function loadAssets(): Readonly<Record<AssetName, Asset>> {
  const entries = FILES.map(([name, type]) => {
    const content = readFileSync(join(packageRoot, 'src', 'web', 'assets', name))
    const digest = createHash('sha256').update(content).digest('hex').slice(0, 12)
    return [name, { url: `/assets/${name.replace('.', `.${digest}.`)}`, type, content }] as const
  })
  return Object.fromEntries(entries) as Record<AssetName, Asset>
}
