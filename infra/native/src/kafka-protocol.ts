import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { scramSha512 } from './scram.ts'

/** How the admin of a secure cluster logs in. */
export interface Login {
  ca: string
  username: string
  password: string
}

/**
 * Just enough of Kafka's protocol to see that a cluster is ready. It does not use kafkajs: a test of a client must not
 * depend on that client, and in this repository only one package owns kafkajs.
 */
export interface KafkaClient extends Disposable {
  /** The ids of the brokers in service, as this broker knows them: a fenced one is not among them. */
  brokers(): Promise<number[]>
  /** The id of the cluster that this broker belongs to. */
  clusterId(): Promise<string | undefined>
  /** Whether this broker knows the topic and a leader for each of its partitions. */
  hasLeaders(topic: string): Promise<boolean>
  /**
   * Whether the group has a coordinator. If that is `broker`, the one that is asked, also whether it has loaded its
   * groups: a leader is known some time before. Asking creates the topic `__consumer_offsets`.
   */
  servesGroup(group: string, broker: number): Promise<boolean>
}

const DESCRIBE_GROUPS = 15
const FIND_COORDINATOR = 10
const METADATA = 3
const SASL_AUTHENTICATE = 36
const SASL_HANDSHAKE = 17
const TIMEOUT_MILLIS = 2000

/** Connects to one broker, and logs in where a login is given. Rejects when the broker does not answer within 2 s. */
export async function connectKafka(broker: string, login?: Login): Promise<KafkaClient> {
  const [host = '', port = ''] = broker.split(':')
  const address = { host, port: Number(port) }
  const socket = login ? connectTls({ ...address, ca: login.ca, minVersion: 'TLSv1.3' }) : connectTcp(address)
  socket.setTimeout(TIMEOUT_MILLIS, () => socket.destroy(new Error(`${broker} does not answer`)))
  try {
    await once(socket, login ? 'secureConnect' : 'connect')
    const call = caller(socket)
    if (login) await authenticate(call, login)
    return client(call, socket)
  } catch (error) {
    socket.on('error', () => {}).destroy()
    throw error
  }
}

type Call = (api: number, version: number, body: Buffer) => Promise<Reader>

/** One request at a time: each has its answer before the next is sent. */
function caller(socket: Socket): Call {
  const answers = socket.iterator({ destroyOnReturn: false })
  let rest = Buffer.alloc(0)
  const read = async (length: number): Promise<Buffer> => {
    while (rest.length < length) {
      const { value, done } = await answers.next()
      if (done) throw new Error('the broker closed the connection')
      rest = Buffer.concat([rest, value as Buffer])
    }
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    return taken
  }
  return async (api, version, body) => {
    const request = Buffer.concat([int16(api), int16(version), int32(1), text('bailiwick-native'), body])
    socket.write(Buffer.concat([int32(request.length), request]))
    const answer = await read((await read(4)).readInt32BE())
    return new Reader(answer.subarray(4))
  }
}

function client(call: Call, socket: Socket): KafkaClient {
  const metadata = async (topics: readonly string[]) => {
    const answer = await call(METADATA, 2, Buffer.concat([int32(topics.length), ...topics.map(text)]))
    const brokers = answer.array(() => {
      const id = answer.int32()
      answer.text()
      answer.int32()
      answer.text()
      return id
    })
    const clusterId = answer.text()
    answer.int32()
    const leaders = answer.array(() => {
      const error = answer.int16()
      answer.text()
      answer.int8()
      const partitions = answer.array(() => {
        const problem = answer.int16()
        answer.int32()
        const leader = answer.int32()
        answer.array(() => answer.int32())
        answer.array(() => answer.int32())
        return problem === 0 && leader >= 0
      })
      return error === 0 && partitions.length > 0 && partitions.every(Boolean)
    })
    return { brokers, clusterId, hasLeaders: leaders.length > 0 && leaders.every(Boolean) }
  }
  return {
    brokers: async () => (await metadata([])).brokers,
    clusterId: async () => (await metadata([])).clusterId,
    hasLeaders: async (topic) => (await metadata([topic])).hasLeaders,
    async servesGroup(group, broker) {
      const found = await call(FIND_COORDINATOR, 0, text(group))
      if (found.int16() !== 0) return false
      if (found.int32() !== broker) return true
      const described = await call(DESCRIBE_GROUPS, 0, Buffer.concat([int32(1), text(group)]))
      return described.array(() => described.int16())[0] === 0
    },
    [Symbol.dispose]: () => void socket.on('error', () => {}).destroy(),
  }
}

async function authenticate(call: Call, { username, password }: Login): Promise<void> {
  const handshake = await call(SASL_HANDSHAKE, 1, text('SCRAM-SHA-512'))
  if (handshake.int16() !== 0) throw new Error('the broker does not take SCRAM-SHA-512')
  await scramSha512(username, password, async (message) => {
    const answer = await call(SASL_AUTHENTICATE, 0, Buffer.concat([int32(message.length), message]))
    const error = answer.int16()
    const reason = answer.text()
    if (error !== 0) throw new Error(`login refused: ${reason}`)
    return answer.bytes()
  })
}

class Reader {
  #at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8(this.#step(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#step(4))
  }

  text(): string | undefined {
    const length = this.int16()
    return length < 0 ? undefined : this.#take(length).toString()
  }

  bytes(): Buffer {
    return this.#take(Math.max(0, this.int32()))
  }

  array<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, item)
  }

  #take(length: number): Buffer {
    const start = this.#step(length)
    return this.#bytes.subarray(start, start + length)
  }

  #step(length: number): number {
    const start = this.#at
    this.#at += length
    return start
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}
