// The kinds of panels by name.

import { Bars } from './bars.js'
import { Board } from './board.js'
import { Line } from './line.js'
import { Numbers } from './number.js'
import { Table } from './table.js'

export const kinds = { number: Numbers, line: Line, bars: Bars, table: Table, board: Board }

/** Columns of the page's twelve that a panel takes unless the layout says otherwise. */
export const widthOf = ({ kind, columns }) => (kind === 'number' && columns?.length > 4 ? 12 : 6)
