import type { Signature, SignatureOptions } from '../../src/message/signature.ts'

/** Signatures in the form of the wire protocol, without an app. */
export const task = (name: string, args: readonly unknown[] = [], options: SignatureOptions = {}): Signature => ({
  task: name,
  args,
  kwargs: {},
  options,
  subtask_type: null,
  immutable: false,
})

export const immutable = (signature: Signature): Signature => ({ ...signature, immutable: true })

const composed = (type: string, kwargs: Signature['kwargs'], options: SignatureOptions = {}): Signature => ({
  task: `celery.${type}`,
  args: [],
  kwargs,
  options,
  subtask_type: type,
  immutable: false,
})

export const chainOf = (tasks: readonly Signature[], options?: SignatureOptions) => composed('chain', { tasks }, options)
export const groupOf = (tasks: readonly Signature[], options?: SignatureOptions) => composed('group', { tasks }, options)
export const chordOf = (header: readonly Signature[], body: Signature, options?: SignatureOptions) =>
  composed('chord', { kwargs: {}, header, body }, options)
