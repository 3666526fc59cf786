/** Addresses of pages, in one place, so that no view spells one wrong. */
export const runPath = (task: string, id: string): string => `/tasks/${encodeURIComponent(task)}/${encodeURIComponent(id)}`
export const schedulePath = (id: string): string => `/schedules/${encodeURIComponent(id)}`
