// The light on what has just changed.

const calm = matchMedia('(prefers-reduced-motion: reduce)')
const LAST = 1600
const LAST_TEXT = 900
/** What changes all the time stays lit rather than starting anew with each frame. */
const AGAIN = 400

const lit = new WeakMap()

/** Lights an element up, or its letters. With reduced motion it is marked for a moment, without fading. */
export function glow(element, isText = false) {
  const now = performance.now()
  const before = lit.get(element)
  if (before && now - before.at < AGAIN) return
  before?.animation.cancel()
  const light = isText ? { color: 'var(--accent)' } : { backgroundColor: 'var(--glow)' }
  const dark = isText ? {} : { backgroundColor: 'transparent' }
  const frames = calm.matches ? [light, light] : [light, { ...light, offset: 0.15 }, dark]
  const animation = element.animate(frames, { duration: isText ? LAST_TEXT : LAST, easing: 'ease-out' })
  lit.set(element, { at: now, animation })
}

/** Takes the light off an element that shows something else now. */
export function unlit(element) {
  lit.get(element)?.animation.cancel()
  lit.delete(element)
}
