import type { Consumer, Delivery } from './broker.ts'

/** Finds the consumer that owns a delivery, for a worker that holds deliveries of several consumers. */
export interface Owners {
  ownerOf(delivery: Delivery): Consumer
  /** Called for each delivery that its consumer does not hold any more. HOT. */
  settled(delivery: Delivery): void
}

type DeliveryMethod = 'finish' | 'acknowledge' | 'begin' | 'started' | 'requeue' | 'deadLetter'

/** The methods of a consumer that concern one delivery: each call goes to the consumer that delivered it. */
export const byOwner = ({ ownerOf, settled }: Owners): Pick<Consumer, DeliveryMethod> => ({
  finish(delivery, outcome, options) {
    ownerOf(delivery).finish(delivery, outcome, options)
    settled(delivery)
  },
  async acknowledge(delivery) {
    const mine = await ownerOf(delivery).acknowledge(delivery)
    // Another worker may have the message, so this worker must not finish it.
    if (!mine) settled(delivery)
    return mine
  },
  begin: (delivery) => ownerOf(delivery).begin(delivery),
  started: (delivery, outcome) => ownerOf(delivery).started(delivery, outcome),
  requeue(delivery, options) {
    ownerOf(delivery).requeue(delivery, options)
    settled(delivery)
  },
  deadLetter(delivery, refusal) {
    ownerOf(delivery).deadLetter(delivery, refusal)
    settled(delivery)
  },
})
