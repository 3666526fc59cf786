/** Fields of a form. `repeated` lists fields that were sent more than once, so that their value is ambiguous. */
export type FormFields<Name extends string> = { readonly [name in Name]: string } & { readonly repeated: readonly Name[] }

/**
 * Reads the named fields; a missing field is an empty text. Line ends of a textarea become LF. Other names are ignored, so no
 * name can reach a prototype.
 */
export function readFormFields<Name extends string>(body: unknown, names: readonly Name[]): FormFields<Name> {
  const form = body instanceof URLSearchParams ? body : new URLSearchParams()
  const fields = Object.fromEntries(names.map((name) => [name, (form.get(name) ?? '').replaceAll('\r\n', '\n')]))
  return { ...fields, repeated: names.filter((name) => form.getAll(name).length > 1) } as FormFields<Name>
}
