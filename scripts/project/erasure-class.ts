import type { Column } from './policy';

/** The fields of ERASURE_CLASS: what an order of an erasure holds (docs/erasure.md). */
export const ERASURE_FIELDS: Record<string, Column> = {
  identity: { type: 'String' },
  marked: { type: 'Boolean' },
  due: { type: 'Date' },
  again: { type: 'Date' },
  attempts: { type: 'Number' },
};
