import {
  type AclsApplied,
  type KafkaAdmin,
  kafkaAdmin,
  kafkaConnection,
  type TopicsApplied,
} from '@bailiwick/bus/kafka'
import { type KafkaAcl, type KafkaTopic, kafkaAcls, kafkaTopics } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { commonSettings, readConfig } from '@bailiwick/host'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { collect, type JsonOption, withJson } from '../options.ts'

const settingsSchema = z.object(commonSettings(0))

const about =
  'Reaches Kafka by BAILIWICK_BUS (kafka://host:port,…), BAILIWICK_KAFKA_CA, BAILIWICK_KAFKA_USER (admin unless given) and ' +
  'BAILIWICK_KAFKA_PASSWORD_FILE. With BAILIWICK_DEV=1 one broker is enough, and TLS and a password are not needed.'

interface AclsCommand extends JsonOption {
  reader?: string[]
  prune?: boolean
}

export function kafkaCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const kafka = program
    .command('kafka')
    .summary("make and check what Kafka must have: topics, users' rights")
    .description(
      `Makes and checks the topics and the users' rights, as what each service declares wants them. ${about}`,
    )
  const topics = kafka.command('topics').summary('every topic, with the settings that it is declared with')
  const acls = kafka.command('acls').summary('who may read and write which topic')

  const applyTopics = topics
    .command('apply')
    .summary('create what is missing, set what is set differently')
    .description(
      `Creates the topics that are missing, and sets what is set differently. Partitions are never added. ${about}`,
    )
  withJson(applyTopics).action(async ({ json }: JsonOption) =>
    done(
      await withAdmin(io, async (admin, specs) => applied(await admin.applyTopics(specs), allTopics(specs), io, json)),
    ),
  )

  const checkTopics = topics
    .command('check')
    .summary('say what is not as declared (1), or that all is (0)')
    .description(`Says what of each topic is not as declared; 1 then. Changes nothing. ${about}`)
  withJson(checkTopics).action(async ({ json }: JsonOption) =>
    done(
      await withAdmin(io, async (admin, specs) => checked(await admin.checkTopics(specs), allTopics(specs), io, json)),
    ),
  )

  const applyAcls = acls
    .command('apply')
    .summary('give the rights that are missing')
    .description(
      `Gives each service's user what its declared reads and writes need, and "agents" nothing but to ask. ${about}`,
    )
    .option('--prune', 'also take away rights to these topics and groups that are not declared')
  withReaders(applyAcls).action(async ({ reader, prune = false, json }: AclsCommand) => {
    const rules = rulesFor(reader)
    done(
      await withAdmin(io, async (admin) =>
        applied(await admin.applyAcls(rules, { prune }), allRights(rules), io, json),
      ),
    )
  })

  const checkAcls = acls
    .command('check')
    .summary('say what is not as declared (1), or that all is (0)')
    .description(
      `Says which rights are missing, and which there are besides the declared ones; 1 then. Changes nothing. ${about}`,
    )
  withReaders(checkAcls).action(async ({ reader, json }: AclsCommand) => {
    const rules = rulesFor(reader)
    done(await withAdmin(io, async (admin) => checked(await admin.checkAcls(rules), allRights(rules), io, json)))
  })
}

function withReaders(command: Command): Command {
  return withJson(command).option(
    '--reader <user>',
    'who else may read registry, decisions, evidence, checkpoints and findings; may be repeated',
    collect,
  )
}

/** The declared rules, and those for the readers named here. */
function rulesFor(readers: readonly string[] | undefined): KafkaAcl[] {
  try {
    return kafkaAcls(readers === undefined ? {} : { readers })
  } catch (error) {
    if (error instanceof RangeError) throw new ServiceError('config_invalid', `--reader: ${error.message}`)
    throw error
  }
}

async function withAdmin(
  io: Io,
  ask: (admin: KafkaAdmin, specs: readonly KafkaTopic[]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const settings = readConfig(settingsSchema, io.env)
  const bus = settings.BAILIWICK_BUS
  if (bus.kind !== 'kafka') throw new ServiceError('config_invalid', 'BAILIWICK_BUS: set it to kafka://host:port')
  const connection = kafkaConnection(bus.brokers, settings, { clientId: 'bailiwick-cli', user: 'admin' })
  await using admin = await kafkaAdmin(connection)
  return await ask(admin, kafkaTopics({ dev: settings.BAILIWICK_DEV }))
}

const allTopics = ({ length }: readonly KafkaTopic[]) => `All ${length} topics are as declared.`
const allRights = ({ length }: readonly KafkaAcl[]) =>
  `All ${length} rights are as declared, and there are no others to these topics and groups.`

/** Prints what was done, then what is left; prints `well` if nothing is left. */
function applied(done: TopicsApplied | AclsApplied, well: string, io: Io, json: true | undefined): ExitCode {
  if (json) {
    io.out(JSON.stringify(done))
    return codeOf(done.differences)
  }
  for (const name of done.created) io.out(`created  ${name}`)
  if ('altered' in done) for (const name of done.altered) io.out(`set      ${name}`)
  if ('deleted' in done) for (const rule of done.deleted) io.out(`deleted  ${rule}`)
  return checked(done.differences, well, io, json)
}

function checked(differences: readonly string[], well: string, io: Io, json: true | undefined): ExitCode {
  if (json) io.out(JSON.stringify({ differences }))
  else if (differences.length === 0) io.out(well)
  else {
    for (const line of differences) io.out(line)
    io.err(`${differences.length} ${differences.length === 1 ? 'thing is' : 'things are'} not as declared.`)
  }
  return codeOf(differences)
}

const codeOf = (differences: readonly string[]) => (differences.length === 0 ? exitCodes.ok : exitCodes.fault)
