import { expect, it } from 'vitest'
import { bothOf, said } from './compiled.fixture.ts'
import { constructors } from './extensions.ts'

/** What Cedar reads, and what it refuses. */
const texts = {
  decimal: {
    right: [
      '0.0',
      '-0.0',
      '-0.0001',
      '12.3',
      '12.3000',
      '000000000000000000000000012.3',
      '922337203685477.5807',
      '-922337203685477.5808',
    ],
    wrong: [
      '',
      '.',
      '1',
      '1.',
      '.1',
      '1.00000',
      '1.0 ',
      ' 1.0',
      '+1.0',
      '1.-1',
      '1,0',
      '1.0\n',
      '922337203685477.5808',
      '-922337203685477.5809',
      '9999999999999999999.0',
      '99999999999999999999999.0',
      '１.0',
    ],
  },
  datetime: {
    right: [
      '2024-02-29',
      '2000-02-29',
      '0000-02-29',
      '0099-12-31',
      '2024-12-31T23:59:59Z',
      '2024-12-31T23:59:59.999Z',
      '2024-12-31T00:00:00+2359',
      '2024-12-31T00:00:00.001-0001',
      '9999-12-31T23:59:59.999-2359',
    ],
    wrong: [
      '',
      '2024',
      '2023-02-29',
      '1900-02-29',
      '2024-04-31',
      '2024-13-01',
      '2024-00-01',
      '2024-01-00',
      '2024-01-32',
      '24-01-01',
      '2024-1-1',
      '12024-01-01',
      '2024-01-01T',
      '2024-01-01Z',
      '2024-01-01T24:00:00Z',
      '2024-01-01T23:60:00Z',
      '2024-01-01T23:59:60Z',
      '2024-01-01T00:00Z',
      '2024-01-01T00:00:00',
      '2024-01-01T00:00:00.Z',
      '2024-01-01T00:00:00.01Z',
      '2024-01-01T00:00:00.0001Z',
      '2024-01-01T00:00:00+2400',
      '2024-01-01T00:00:00+0060',
      '2024-01-01T00:00:00+00:00',
      '2024-01-01T00:00:00+1',
      '2024-01-01t00:00:00z',
      '2024-01-01 00:00:00Z',
      ' 2024-01-01',
      '2024-01-01\n',
      '2024-01-01T00:00:00Z\n',
      '-024-01-01',
    ],
  },
  duration: {
    right: [
      '0d',
      '1d',
      '1h',
      '1m',
      '1s',
      '1ms',
      '1d1h1m1s1ms',
      '1m1ms',
      '-1d1h',
      '-0s',
      '000000000000000000000000000001s',
      '9223372036854775807ms',
      '-9223372036854775808ms',
      '106751991167d25975807ms',
      '-106751991167d25975808ms',
    ],
    wrong: [
      '',
      '-',
      'd',
      '1',
      '1D',
      '1d-1h',
      '1h1d',
      '1ms1s',
      '1.5d',
      '+1d',
      ' 1d',
      '1d ',
      '1d\n',
      '1d1d',
      '--1d',
      '9223372036854775808ms',
      '-9223372036854775809ms',
      '106751991168d',
      '106751991167d25975808ms',
      '100000000000000000000d',
      '18446744073709551616ms',
    ],
  },
  ip: {
    right: [
      '0.0.0.0',
      '255.255.255.255',
      '1.2.3.4/0',
      '1.2.3.4/32',
      '1.2.3.4/9',
      '::',
      '::1',
      '1::',
      '::/0',
      '::/128',
      '1:2:3:4:5:6:7:8',
      '1::8',
      '1:2:3:4:5:6:7::',
      '::2:3:4:5:6:7:8',
      '1:2::7:8/64',
      'AbCd::',
      '0001::',
    ],
    wrong: [
      '',
      '1',
      '1.2.3',
      '1.2.3.4.5',
      '1.2.3.256',
      '1.2.3.04',
      '1.2.3.',
      '1.2.3.-4',
      '1.2.3.4/',
      '1.2.3.4/33',
      '1.2.3.4/032',
      '1.2.3.4/01',
      '1.2.3.4/+1',
      '1.2.3.4/8/8',
      '/8',
      '1.2.3.4 ',
      ' 1.2.3.4',
      '1.2.3.4\n',
      ':',
      ':::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7:8::',
      '::1:2:3:4:5:6:7:8',
      '1::2::3',
      '00001::',
      'g::',
      '::1/129',
      '::1/0128',
      '::1%lo',
      '::1.2.3.4',
      '::ffff:1.2.3.4',
      '1:',
      ':1',
      '[::1]',
      '٣.2.3.4',
    ],
  },
}

it.each(Object.entries(texts))(
  'reads a %s from the texts that Cedar reads, and from no others',
  (name, { right, wrong }) => {
    const read = bothOf(`permit (principal, action, resource) when { ${name}(context.text) == ${name}(context.text) };`)
    for (const text of right)
      expect([text, said(read, { context: { text } })]).toEqual([
        text,
        { decision: 'allow', reason: ['p.cedar#0'], erred: [] },
      ])
    for (const text of wrong)
      expect([text, said(read, { context: { text } })]).toEqual([
        text,
        { decision: 'deny', reason: [], erred: ['p.cedar#0'] },
      ])
  },
)

it.each(Object.entries(texts))('gives a %s the value that Cedar gives it', (name, { right }) => {
  const same = bothOf(`permit (principal, action, resource) when { ${name}(context.a) == ${name}(context.b) };`)
  for (const a of right) for (const b of right) said(same, { context: { a, b } })
  const compare = { decimal: 'a.lessThan(b)', datetime: 'a < b', duration: 'a < b', ip: 'a.isInRange(b)' }[name] ?? ''
  const condition = compare.replace('a', `${name}(context.a)`).replace(/b(?=\)|$)/, `${name}(context.b)`)
  const ordered = bothOf(`permit (principal, action, resource) when { ${condition} };`)
  for (const a of right) for (const b of right) said(ordered, { context: { a, b } })
})

it('tells addresses of one kind from those of another, as Cedar does', () => {
  const ranges = [
    '127.0.0.0/8',
    '127.0.0.0/7',
    '128.0.0.1',
    '126.255.255.255',
    '::1',
    '::1/127',
    '::2',
    '224.0.0.0/4',
    '224.0.0.0/3',
    '239.255.255.255',
    '240.0.0.0',
    'ff00::',
    'ff00::/7',
    'feff::',
    'ff00::/8',
    '0.0.0.1',
  ]
  for (const method of ['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast']) {
    const is = bothOf(`permit (principal, action, resource) when { ip(context.text).${method}() };`)
    for (const text of ranges) said(is, { context: { text } })
  }
})

it('reads a long text at once', () => {
  const digits = '9'.repeat(1_000_000)
  for (const text of [
    `${digits}.0`,
    `${digits}ms`,
    `1.2.3.${digits}`,
    `${digits}::`,
    `::1/${digits}`,
    '1.'.repeat(500_000),
    ':'.repeat(1_000_000),
  ])
    for (const read of constructors.values()) expect(read(text)).toBeUndefined()
  expect(constructors.get('duration')?.(`${'0'.repeat(1_000_000)}7ms`)?.value).toBe(7)
})
