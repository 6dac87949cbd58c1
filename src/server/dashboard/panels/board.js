// A departures board: large, dark, without heads to press; its columns stand in order of importance.

import { Table } from './table.js'

const MOST_ROWS = 15

export class Board extends Table {
  constructor(shape, context) {
    super(shape, context, { isSortable: false, isCut: true, most: MOST_ROWS })
  }
}
