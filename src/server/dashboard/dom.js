// Elements from data: text is always text, never HTML.

/** An element; properties are attributes, `text`, `on` with listeners, or `hidden` and such as booleans. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children)
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children)
}

/** A part of the page by id. */
export const byId = id => document.getElementById(id)

/** A sentence with its names, which stand in backticks, as code. */
export const marked = text => text.split('`').map((part, at) => (at % 2 ? el('code', { text: part }) : part))

/** Sets text if it is another one: a write makes the browser lay the page out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue
    if (name === 'text') element.textContent = value
    else if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.filter(child => child !== null && child !== undefined))
  return element
}
