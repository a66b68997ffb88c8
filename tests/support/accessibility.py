"""What of the rules for pages that everybody can use a program can tell, told of a page as a browser has it."""

from playwright.async_api import Page

# WCAG 2.2: headings, labels, landmarks (1.3.1, 2.4.6), contrast (1.4.3), nothing too wide (1.4.10), language, title.
_LOOK = """
() => {
  const found = [], all = selector => [...document.querySelectorAll(selector)];
  if (!document.documentElement.lang) found.push('no language');
  if (!document.title.trim()) found.push('no title');
  for (const one of ['main', 'h1', 'body > header', 'body > footer'])
    if (all(one).length !== 1) found.push(`${all(one).length} of ${one}`);
  let level = 0;
  for (const heading of all('h1, h2, h3, h4, h5, h6')) {
    const is = Number(heading.tagName[1]);
    if (is > level + 1) found.push(`h${is} after h${level}: ${heading.textContent}`);
    if (!heading.textContent.trim()) found.push(`an empty h${is}`);
    level = is;
  }
  for (const field of all('input:not([type=hidden]), select, textarea'))
    if (!field.labels?.length) found.push(`no label: ${field.outerHTML}`);
  for (const one of all('a[href], button'))
    if (!one.textContent.trim()) found.push(`no name: ${one.outerHTML}`);
  for (const image of all('img')) if (!image.hasAttribute('alt')) found.push(`no alt: ${image.outerHTML}`);
  for (const one of all('nav')) if (!one.getAttribute('aria-label')) found.push('a nav without a name');
  const ids = all('[id]').map(one => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`twice: #${id}`);
  for (const one of all('[aria-describedby], [aria-labelledby]'))
    for (const id of (one.getAttribute('aria-describedby') || one.getAttribute('aria-labelledby')).split(' '))
      if (!document.getElementById(id)) found.push(`nothing at #${id}`);
  const sideways = document.documentElement.scrollWidth - innerWidth;
  if (sideways > 0) found.push(`${sideways} px too wide`);

  const channels = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z;
  };
  const behind = one => {
    for (; one; one = one.parentElement) {
      const color = channels(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = texts.nextNode();) {
    const one = node.parentElement, style = getComputedStyle(one);
    if (!node.data.trim() || one.closest('[aria-hidden=true], :disabled') || !one.checkVisibility()) continue;
    const pair = [luminance(channels(style.color)), luminance(behind(one))].sort((a, b) => b - a);
    const ratio = (pair[0] + .05) / (pair[1] + .05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} to 1: ${node.data.trim().slice(0, 40)}`);
  }
  return found;
}
"""


async def barriers(page: Page) -> list[str]:
    """What is in somebody's way, in words, in light colours and in dark ones, on a narrow screen and on a wide one."""
    found = []
    for width in (320, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found += [f"{width} px, {scheme}: {each}" for each in await page.evaluate(_LOOK)]
    return found
