"""What is asked of a page in a browser that only a script in it can tell."""

# Whether a chart's canvas has pixels in the colours of data: text, axes and grid are all but grey.
COLOURED = """
  const canvas = document.querySelector(`#chart-${arguments[0]} canvas`);
  if (canvas === null) return false;
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) {
    const parts = data.slice(at, at + 3);
    if (data[at + 3] > 200 && Math.max(...parts) - Math.min(...parts) > 100) return true;
  }
  return false;
"""
# Count from now on in `started` how often the page begins to ask for an address with this part.
COUNT_STARTS = """
  const part = arguments[0], real = window.fetch;
  window.started = 0;
  window.fetch = (address, ...more) => {
    if (String(address).includes(part)) window.started += 1;
    return real(address, ...more);
  };
"""
# Note from now on in `lengths` how long an element's text is, each time it changes.
NOTE_LENGTHS = """
  const element = document.querySelector(arguments[0]);
  window.lengths = [];
  new MutationObserver(() => window.lengths.push(element.textContent.length))
    .observe(element, { childList: true, subtree: true });
"""
# Behave as in a tab that is hidden, or not.
HIDE = """
  const isHidden = arguments[0];
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
"""
# How much has moved since the page was loaded (Cumulative Layout Shift).
SHIFTED = """
  return new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => sum += entry.value))
      .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 5000);
  });
"""
# Texts whose contrast (WCAG 2.2, 1.4.3) is below 4.5 to 1.
CONTRASTS = """
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) &&
    element.checkVisibility() && !element.closest("noscript, option") && !element.disabled);
  return texts.map((element) => {
    const both = [light(getComputedStyle(element).color), light(ground(element))];
    const [low, high] = both.sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), element.className, element.textContent.trim()];
  }).filter(([contrast]) => contrast < 4.5);
"""
# What one can act on that has no name for who does not see it.
UNNAMED = """
  const kinds = "button, a, input:not([type=hidden]), select, textarea, [role=region], [role=img]";
  return [...document.querySelectorAll(kinds)]
    .filter((element) => !(element.textContent.trim() || element.labels?.length || element.ariaLabel
      || document.getElementById(element.getAttribute("aria-labelledby"))))
    .map((element) => element.outerHTML);
"""
