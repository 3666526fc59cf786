/** Returns the path of a run's page. This file builds the paths of all pages. */
export const runPath = (task: string, id: string): string => `/tasks/${encodeURIComponent(task)}/${encodeURIComponent(id)}`
export const schedulePath = (id: string): string => `/schedules/${encodeURIComponent(id)}`
