import { Transform } from 'node:stream'
import { TypedMessages } from '@bailiwick/kit'

/** The gateway takes it for a request to cancel, and does not send it on. PostgreSQL has no message of this type. */
const cancelMessage = Buffer.from([0x21, 0, 0, 0, 4])

/** Passes on a client's bytes, and puts a request to cancel between two of its messages. */
export class Cancelling extends Transform {
  readonly #messages = new TypedMessages()
  #isWanted = false

  cancel(): void {
    if (this.#messages.isBetween) this.push(cancelMessage)
    else this.#isWanted = true
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    let end = 0
    try {
      this.#messages.read(chunk, {
        end(at) {
          end = at
        },
      })
    } catch (error) {
      done(error as Error)
      return
    }
    if (this.#isWanted && end > 0) {
      this.#isWanted = false
      this.push(chunk.subarray(0, end))
      this.push(cancelMessage)
      this.push(chunk.subarray(end))
    } else this.push(chunk)
    done()
  }
}
