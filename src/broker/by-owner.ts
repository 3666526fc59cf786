import type { Consumer, Delivery } from './broker.ts'

/** Deliveries of several consumers in one worker's hands. */
export interface Owners {
  ownerOf(delivery: Delivery): Consumer
  /** The delivery is out of the hands of its consumer. HOT: called for each. */
  settled(delivery: Delivery): void
}

type AboutOne = 'finish' | 'acknowledge' | 'begin' | 'started' | 'requeue' | 'deadLetter'

/** What is said about one delivery goes to the consumer that it came from, which is told of no other. */
export const byOwner = ({ ownerOf, settled }: Owners): Pick<Consumer, AboutOne> => ({
  finish(delivery, outcome, how) {
    ownerOf(delivery).finish(delivery, outcome, how)
    settled(delivery)
  },
  async acknowledge(delivery) {
    const mine = await ownerOf(delivery).acknowledge(delivery)
    // In other hands: it will not be finished here.
    if (!mine) settled(delivery)
    return mine
  },
  begin: (delivery) => ownerOf(delivery).begin(delivery),
  started: (delivery, outcome) => ownerOf(delivery).started(delivery, outcome),
  requeue(delivery, how) {
    ownerOf(delivery).requeue(delivery, how)
    settled(delivery)
  },
  deadLetter(delivery, refusal) {
    ownerOf(delivery).deadLetter(delivery, refusal)
    settled(delivery)
  },
})
