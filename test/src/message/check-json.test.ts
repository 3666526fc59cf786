import { describe, expect, it } from 'vitest'
import { checkJson } from '../../../src/message/check-json.ts'

const circular: Record<string, unknown> = { a: {} }
circular.a = { back: circular }

describe('checkJson', () => {
  it.each([
    ['null, texts, numbers, booleans', [null, 'a', 0, -1.5, true]],
    ['nested lists and objects', [{ a: [{ b: null }] }]],
    ['an object without a prototype', [Object.assign(Object.create(null), { a: 1 })]],
    ['a member that is undefined, which JSON leaves out', [{ a: undefined }]],
    ['the same value twice, side by side', [circular.b, [{ x: 1 }]].slice(1)],
  ])('accepts %s', (_name, value) => {
    expect(() => checkJson(value, 'args')).not.toThrow()
  })

  it.each([
    ['a Date', [new Date(0)], 'args[0] is a Date'],
    ['a Map deep inside', [{ a: { b: [new Map()] } }], 'args[0].a.b[0] is a Map'],
    ['a BigInt', [1n], 'args[0] is a bigint'],
    ['NaN', [Number.NaN], 'args[0] is NaN'],
    ['Infinity', [{ n: Number.POSITIVE_INFINITY }], 'args[0].n is Infinity'],
    ['a function', [() => 1], 'args[0] is a function'],
    ['a symbol', [Symbol('s')], 'args[0] is a symbol'],
    ['undefined in a list', [undefined], 'args[0] is undefined'],
    ['a value that contains itself', [circular], 'args[0].a.back is circular: it refers to a value that contains it'],
    ['an instance of a class', [new (class Point {})()], 'args[0] is a Point'],
    ['a Buffer', [Buffer.from('a')], 'args[0] is a Buffer'],
  ])('refuses %s and names its path', (_name, value, message) => {
    expect(() => checkJson(value, 'args')).toThrow(
      expect.objectContaining({ code: 'VALUE_NOT_JSON', message: expect.stringContaining(message) }),
    )
  })

  it('refuses infinitely nested values without overflowing the stack', () => {
    let deep: unknown = 1
    for (let level = 0; level < 10_000; level++) deep = [deep]
    expect(() => checkJson(deep, 'args')).toThrow('nested more than 200 levels deep')
  })
})
