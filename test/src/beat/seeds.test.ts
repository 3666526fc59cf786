import { describe, expect, test } from 'vitest'
import { seedsOf } from '../../../src/beat/seeds.ts'
import { type Environment, parseConfig } from '../../../src/config.ts'

const HEROKU = { DYNO: 'web.1', HEROKU_APP_DEFAULT_DOMAIN_NAME: 'shop.herokuapp.com' }
const RENDER = { RENDER: 'true', RENDER_EXTERNAL_URL: 'https://shop.onrender.com' }
const KOYEB = { KOYEB_APP_NAME: 'shop', KOYEB_PUBLIC_DOMAIN: 'shop.koyeb.app' }
const FLY = { FLY_APP_NAME: 'shop', PUBLIC_URL: 'https://shop.fly.dev' }
const URL = { PUBLIC_URL: 'https://example.org' }

describe('the seed keep_awake', () => {
  const cases: [string, Environment, number | undefined, RegExp][] = [
    ['visits the app every 25 minutes on Heroku, which sleeps after 30 minutes', HEROKU, 25, /heroku/],
    ['visits the app every 10 minutes on Render, which sleeps after 15 minutes', RENDER, 10, /render/],
    ['visits the app every 30 minutes on Koyeb, which sleeps after 60 minutes', KOYEB, 30, /koyeb/],
    ['is off on Heroku without dyno metadata, because the URL is unknown', { DYNO: 'web.1' }, undefined, /set PUBLIC_URL/],
    ['is off on Fly, where visits do not help', FLY, undefined, /do not keep this platform awake/],
    ['is off on an unknown platform with a URL', URL, undefined, /do not keep this platform awake/],
    ['is off without a URL', {}, undefined, /set PUBLIC_URL/],
    ['is off with KEEP_AWAKE=off on any platform', { ...HEROKU, KEEP_AWAKE: 'off' }, undefined, /KEEP_AWAKE=off/],
    ['uses the minutes of KEEP_AWAKE on any platform', { ...URL, KEEP_AWAKE: '7' }, 7, /KEEP_AWAKE/],
    ['prefers the minutes of KEEP_AWAKE to the default of the platform', { ...RENDER, KEEP_AWAKE: '14' }, 14, /KEEP_AWAKE/],
    ['is off with minutes in KEEP_AWAKE but without a URL', { KEEP_AWAKE: '7' }, undefined, /set PUBLIC_URL/],
    ['treats KEEP_AWAKE=auto as the default', { ...RENDER, KEEP_AWAKE: 'auto' }, 10, /render/],
  ]
  test.each(cases)('%s', (_, env, minutes, reason) => {
    const { seeds, keepAwake } = seedsOf(parseConfig(env))
    const seed = seeds.find(({ name }) => name === 'onedyno.keep_awake')
    expect(seed && { every: seed.every, period: seed.period }).toEqual(minutes && { every: minutes, period: 'minutes' })
    expect(keepAwake).toMatch(reason)
    expect(keepAwake).toMatch(minutes === undefined ? /^off: / : new RegExp(`^every ${minutes} minutes: `))
  })

  test('does not catch up on missed visits', () => {
    expect(seedsOf(parseConfig(HEROKU)).seeds.find(({ name }) => name === 'onedyno.keep_awake')?.catchup).toBe('skip')
  })
})

test('the seed clean_up is due every hour, and one run replaces all missed runs', () => {
  for (const env of [{}, HEROKU, { KEEP_AWAKE: 'off' }])
    expect(seedsOf(parseConfig(env)).seeds[0]).toMatchObject({
      name: 'onedyno.clean_up',
      every: 1,
      period: 'hours',
      catchup: 'one',
    })
})
