import { add, app } from './tasks.ts'

const run = await add.delay(2, 3)
console.log(`${run.id}: ${await run.get({ timeoutMs: 10_000 })}`)
await app.close()
