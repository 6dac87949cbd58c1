// The unmodified npm packages in a page in Chromium, without a bundler: createStreamDB on a query's result, and
// clients/js with a result of the server beside optimistic local rows. See page/main.js for what is checked.
//
//     node serve/page.mjs URL NAME STREAM TYPE [--checks N] [--chromium PATH]
//
// Something else makes changes meanwhile (drive.mjs with the same STREAM and TYPE).

import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { build, folder } from './build.mjs'
import { fail, parameters, say } from './say.mjs'

const usage = 'page.mjs URL NAME STREAM TYPE [--checks N] [--chromium PATH]'
const [url, name, source, type, options] = parameters(usage, 4, { checks: 10, chromium: process.env.CHROMIUM ?? '/usr/bin/chromium' })
if (!existsSync(options.chromium)) fail('Chromium is there', { path: options.chromium, hint: 'apt-get install chromium, or --chromium PATH' })
build()

const peers = fileURLToPath(new URL('..', import.meta.url))
/** Where the page's paths are on disk. */
const roots = {
  '/node_modules/': `${peers}node_modules/`,
  '/client/': `${folder}dist/`,
  '/commonjs/': '',
  '/': `${peers}serve/`,
}

/** The file that a package gives to who imports it. */
async function entry(name, path = '.', inside = '') {
  const place = `${inside}/node_modules/${name}/`
  const { exports } = JSON.parse(await readFile(`${peers}${place.slice(1)}package.json`, 'utf8'))
  const found = exports[path]?.import ?? exports
  return place + (found.default ?? found).replace(/^\.\//, '')
}

const state = '/node_modules/@durable-streams/state'
const imports = {
  '@tailwater/client': '/client/index.js',
  '@tanstack/db': await entry('@tanstack/db'),
  '@tanstack/db-ivm': await entry('@tanstack/db-ivm'),
  '@tanstack/pacer-lite/lite-queuer': await entry('@tanstack/pacer-lite', './lite-queuer'),
  'fractional-indexing': await entry('fractional-indexing'),
  '@durable-streams/client': await entry('@durable-streams/client'),
  '@durable-streams/state/db': await entry('@durable-streams/state', './db'),
  fastq: '/commonjs/fastq/queue.js',
  reusify: '/commonjs/reusify/reusify.js',
}
// The package brings its own version of the client.
const nested = existsSync(`${peers}${state.slice(1)}/node_modules/@durable-streams/client`)
const scopes = nested ? { [`${state}/`]: { '@durable-streams/client': await entry('@durable-streams/client', '.', state) } } : {}

/** Some packages are CommonJS only, which browsers do not read. */
async function commonJs(path) {
  const code = await readFile(`${peers}node_modules/${path}`, 'utf8')
  const names = [...code.matchAll(/require\('(.+?)'\)/g)].map(([, name]) => name)
  const lines = names.map((name, i) => `import _${i} from '${name}'`)
  const given = names.map((name, i) => `'${name}': _${i}`).join(', ')
  return `${lines.join('\n')}
const module = { exports: {} }
;((module, exports, require) => {${code}
})(module, module.exports, (name) => ({ ${given} })[name])
export default module.exports`
}

const html = `<!doctype html>
<meta charset="utf-8">
<title>Results in a page</title>
<script type="importmap">${JSON.stringify({ imports, scopes })}</script>
<script type="module" src="/page/main.js"></script>
<table id="rows"></table>
<form id="add"><button>Add</button></form>
<ol id="list"></ol>`

const files = createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url, 'http://page').pathname)
  const root = Object.keys(roots).find((root) => path.startsWith(root))
  try {
    const rest = path.slice(root.length)
    const content = path === '/' ? html : root === '/commonjs/' ? await commonJs(rest) : await readFile(roots[root] + rest)
    response.writeHead(200, { 'content-type': path === '/' ? 'text/html' : 'text/javascript' }).end(content)
  } catch {
    response.writeHead(404).end()
  }
})
await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve))

const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] })
const page = await browser.newPage()
const messages = []
page.on('pageerror', (error) => fail('no errors in the page', { error: error.stack || String(error), messages: messages.slice(-20) }))
page.on('console', (message) => messages.push(message.text()))
await page.exposeFunction('say', say)
await page.exposeFunction('fail', (check, details) => fail(check, { ...details, messages: messages.slice(-20) }))
await page.exposeFunction('press', (selector) => page.click(selector))
const done = new Promise((resolve) => page.exposeFunction('done', resolve))
const query = new URLSearchParams({ url, name, source, type, checks: options.checks })
await page.goto(`http://127.0.0.1:${files.address().port}/?${query}`)
const late = setTimeout(() => fail('the page comes to its end', { waited: '180 s', messages: messages.slice(-20) }), 180_000)
await done
clearTimeout(late)
await browser.close()
files.close()
say('done')
process.exit(0)
