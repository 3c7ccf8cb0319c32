/** Lines over the same steps, one beside the other whatever their distance. */
export interface Panel {
  title: string;
  steps: string[];
  lines: Line[];
}

interface Line {
  color: string;
  isDashed: boolean;
  /** One for each step. */
  values: number[];
}

const WIDTH = 300;
const HEIGHT = 200;
const COLUMNS = 3;
/** Around the lines of a panel. */
const MARGIN = { left: 44, right: 16, top: 34, bottom: 30 };

/**
 * Draws panels three in a row, each with an axis of its own from zero up, and a key below, as an SVG.
 *
 * @param title for those who do not see it
 * @param unit of all values
 * @param key what lines mean, by colour and dashes
 */
export function chart(
  title: string,
  panels: Panel[],
  unit: string,
  key: (Omit<Line, 'values'> & { name: string })[],
): string {
  const width = COLUMNS * WIDTH;
  const keyTop = Math.ceil(panels.length / COLUMNS) * HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${keyTop + 30}" font-family="sans-serif" font-size="11" fill="#333">`,
    `<title>${title}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...panels.map((panel, i) => {
      const [x, y] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * HEIGHT];
      return `<g transform="translate(${x} ${y})">\n${drawn(panel, unit)}\n</g>`;
    }),
    ...key.map(({ name, ...line }, i) => {
      const x = MARGIN.left + i * 200;
      return `${stroke(line, `M${x} ${keyTop + 10}h30`)}<text x="${x + 36}" y="${keyTop + 14}">${name}</text>`;
    }),
    '</svg>\n',
  ].join('\n');
}

function drawn({ title, steps, lines }: Panel, unit: string): string {
  const top = niceAbove(Math.max(...lines.flatMap(({ values }) => values)));
  const x = (step: number) =>
    round(MARGIN.left + ((step + 0.5) / steps.length) * (WIDTH - MARGIN.left - MARGIN.right));
  const y = (value: number) =>
    round(HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom));
  const right = WIDTH - MARGIN.right;
  return [
    `<text x="${MARGIN.left}" y="18" font-weight="bold">${title}</text>`,
    ...[0, top / 2, top].map(
      (value) =>
        `<path d="M${MARGIN.left} ${y(value)}H${right}" stroke="#ddd"/>` +
        `<text x="${MARGIN.left - 6}" y="${y(value) + 4}" text-anchor="end">${value}</text>`,
    ),
    `<text x="${MARGIN.left - 6}" y="${y(top) - 8}" text-anchor="end" fill="#777">${unit}</text>`,
    ...steps.map(
      (step, i) => `<text x="${x(i)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle">${step}</text>`,
    ),
    ...lines.map((line) =>
      stroke(line, line.values.map((value, i) => `${i === 0 ? 'M' : 'L'}${x(i)} ${y(value)}`).join('')),
    ),
  ].join('\n');
}

function stroke({ color, isDashed }: Omit<Line, 'values'>, path: string): string {
  const dashes = isDashed ? ' stroke-dasharray="4 4"' : '';
  return `<path d="${path}" fill="none" stroke="${color}" stroke-width="2"${dashes}/>`;
}

/** The next of 1, 2, 4, 10, 20, 40, … */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((factor) => factor * power).find((nice) => nice >= value) as number;
}

const round = (value: number) => Math.round(value * 10) / 10;
