/** Paths of pages, in one place. */
export const runPath = (task: string, id: string): string => `/tasks/${encodeURIComponent(task)}/${encodeURIComponent(id)}`
export const schedulePath = (id: string): string => `/schedules/${encodeURIComponent(id)}`
