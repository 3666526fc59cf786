// Improves pages that also work without scripts: shows the example of the chosen task, and updates the page of a run when the
// run changes.

const form = document.getElementById('task-form')
if (form) {
  helpWithArguments(form.elements.task, form.elements.args, form)
  nameTheButton(form.elements.schedule, form.querySelector('.primary'))
}

const run = document.getElementById('run')
if (run && run.dataset.ready === 'false') watch(run)

/** Shows the description of the chosen task. Replaces the arguments only if they still equal the example. */
function helpWithArguments(task, args, within) {
  const example = () => task.selectedOptions[0]?.dataset.example ?? '[]'
  let shown = example()
  task.addEventListener('change', () => {
    if (args.value.trim() === '' || args.value.trim() === shown) args.value = example()
    shown = example()
    within.querySelector('[data-of="example"]').textContent = shown
    within.querySelector('[data-of="description"]').textContent = task.selectedOptions[0]?.dataset.description ?? ''
  })
}

/** Changes the label of the button with the schedule field: Run or Schedule. */
function nameTheButton(schedule, button) {
  const name = () => {
    button.textContent = schedule.value.trim() === '' ? 'Run' : 'Schedule'
  }
  schedule.addEventListener('input', name)
  name()
}

/**
 * Long-polls the state of a run: the server answers when the task has ended or after `seconds`. The first polls are short,
 * because the server does not report that a task started. A hidden page sends no requests, so a forgotten tab does not keep a
 * sleeping dyno awake.
 */
async function watch(element) {
  for (let seconds = 1; element.dataset.ready === 'false'; seconds = Math.min(seconds * 2, 20)) {
    await visible()
    const asked = performance.now()
    const revision = await revisionOf(element.dataset.path, seconds)
    if (revision && revision !== element.dataset.revision) {
      await refresh(element)
      seconds = 0.5 // the task reports progress, so poll sooner
    }
    const restMs = (revision === undefined ? seconds * 1000 : 500) - (performance.now() - asked)
    if (element.dataset.ready === 'false' && restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs))
  }
}

function visible() {
  if (document.visibilityState === 'visible') return Promise.resolve()
  return new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true })).then(visible)
}

async function revisionOf(path, seconds) {
  try {
    const response = await fetch(`${path}?wait=${seconds}`, { headers: { accept: 'application/json' } })
    return response.ok ? (await response.json()).revision : undefined
  } catch {
    return undefined // the server restarts or the network failed; the next poll tries again
  }
}

/** Replaces the run by the server's markup, so that only the server renders runs. */
async function refresh(element) {
  const all = new URLSearchParams(location.search).get('log') === 'all' ? '?log=all' : ''
  const response = await fetch(`${element.dataset.path}${all}`, { headers: { accept: 'text/html' } })
  if (!response.ok) return
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  const fresh = page.getElementById('run')
  if (!fresh) return
  element.replaceChildren(...fresh.childNodes)
  Object.assign(element.dataset, fresh.dataset)
  document.title = page.title
}
