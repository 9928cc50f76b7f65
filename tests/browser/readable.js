/* The texts of a page that have less contrast than WCAG 2 wants at level AA. */
() => {
  const ENOUGH = 4.5;
  const ENOUGH_IF_LARGE = 3;
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  function paint(colour, opacity = 1) {
    canvas.globalAlpha = opacity;
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
  }

  function luminance() {
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(element, ink) {
    const above = [];
    for (let each = element; each; each = each.parentElement) above.unshift(each);
    let opacity = 1;
    paint("white");
    for (const each of above) {
      const style = getComputedStyle(each);
      opacity *= Number(style.opacity);
      paint(style.backgroundColor, opacity);
    }
    const paper = luminance();
    paint(ink.color, opacity * Number(ink.opacity));
    const [low, high] = [paper, luminance()].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  const isOff = (element) => element.closest(":disabled, [aria-disabled=true]");
  const isSeen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    getComputedStyle(element).clipPath === "none";
  const hasText = (element) =>
    [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim(),
    );

  function looks(element) {
    if (hasText(element)) return [{ color: getComputedStyle(element).color, opacity: 1 }];
    return element.placeholder ? [getComputedStyle(element, "::placeholder")] : [];
  }

  function enough(element) {
    const { fontSize, fontWeight } = getComputedStyle(element);
    const size = parseFloat(fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
    return isLarge ? ENOUGH_IF_LARGE : ENOUGH;
  }

  const shown = [...document.body.querySelectorAll("*")].filter(
    (element) => isSeen(element) && !isOff(element),
  );
  return shown.flatMap((element) =>
    looks(element)
      .map((ink) => contrast(element, ink))
      .filter((found) => found < enough(element))
      .map((found) => `${found.toFixed(2)}: ${element.outerHTML.slice(0, 90)}`),
  );
}
