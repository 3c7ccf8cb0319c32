import { isPackaged } from '../project/bundle';

const COMMAND = /\bnpm (?:run )?(build|deploy|doctor|schema|start|…)(?![\w:-])( --(?= ))?/g;

/**
 * What is said to users names a command as npm knows it in this repository. In an app's project it is typed otherwise:
 * with `--no`, npx does not run a stranger's package of that name, and behind `--` it takes no option for itself.
 */
export function asTyped(text: string): string {
  return isPackaged ? text.replace(COMMAND, 'npx --no -- back4app-e2ee $1') : text;
}
