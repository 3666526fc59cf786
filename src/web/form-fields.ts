/** One field of a form can be sent twice, by hand: then nobody knows which is meant. */
export type FormFields<Name extends string> = { readonly [name in Name]: string } & { readonly repeated: readonly Name[] }

/**
 * The named fields of a form, empty where they are missing. Line ends of a textarea are made LF again; what has another name is not looked at, so
 * there is nothing that could reach a prototype.
 */
export function readFormFields<Name extends string>(body: unknown, names: readonly Name[]): FormFields<Name> {
  const form = body instanceof URLSearchParams ? body : new URLSearchParams()
  const fields = Object.fromEntries(names.map((name) => [name, (form.get(name) ?? '').replaceAll('\r\n', '\n')]))
  return { ...fields, repeated: names.filter((name) => form.getAll(name).length > 1) } as FormFields<Name>
}
