import { app, report } from './tasks.ts'

const run = await report('Oslo').delay()
console.log(await run.get({ timeoutMs: 20_000 }))

const first = await app.asyncResult(run.root.id).info()
console.log(`read after ${first?.retries} retry`)
await app.close()
