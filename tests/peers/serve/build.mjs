// The package in clients/js, installed and built if it is not.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const folder = fileURLToPath(new URL('../../../clients/js/', import.meta.url))

export function build() {
  const npm = (...args) => execFileSync('npm', [...args, '--prefix', folder], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (!existsSync(`${folder}node_modules/typescript`)) npm('ci', '--no-audit', '--no-fund')
  if (!existsSync(`${folder}dist/index.js`)) npm('run', 'build')
}
