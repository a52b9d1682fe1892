import { STORE_ERRORS } from './errors.ts';
import { Id } from './event.ts';
import { EditorialList, EditorialListRequest, EditorialListsResponse } from './merchandising.ts';
import { PlacementEntry, PlacementRequest, PlacementsResponse } from './placement.ts';
import { RecommendRequest } from './recommend.ts';
import { RecommendTrace } from './recommend-trace.ts';
import type { Route } from './routes.ts';

/** The part of the route table that merchandisers use. */
export const MERCHANDISING_ROUTES = {
  editorial_lists: {
    plane: 'control',
    method: 'GET',
    path: '/v1/editorial-lists',
    summary: 'The editorial lists, those that have run out and those to come among them.',
    key: 'admin',
    response: EditorialListsResponse,
    errors: [],
  },
  editorial_put: {
    plane: 'control',
    method: 'PUT',
    path: '/v1/editorial-lists/{id}',
    summary: 'Make an editorial list, or replace it whole. It holds from the very next answer.',
    key: 'admin',
    parameters: { id: Id },
    request: EditorialListRequest,
    response: EditorialList,
    errors: ['editorial_lists_full', ...STORE_ERRORS],
  },
  editorial_remove: {
    plane: 'control',
    method: 'DELETE',
    path: '/v1/editorial-lists/{id}',
    summary: 'Remove an editorial list.',
    key: 'admin',
    parameters: { id: Id },
    response: EditorialListsResponse,
    errors: ['not_found', ...STORE_ERRORS],
  },
  placements: {
    plane: 'control',
    method: 'GET',
    path: '/v1/placements',
    summary: 'The placements in force, and where each comes from.',
    key: 'admin',
    response: PlacementsResponse,
    errors: [],
  },
  placement: {
    plane: 'control',
    method: 'GET',
    path: '/v1/placements/{id}',
    summary: 'One placement as it is in force.',
    key: 'admin',
    parameters: { id: Id },
    response: PlacementEntry,
    errors: ['not_found'],
  },
  placement_put: {
    plane: 'control',
    method: 'PUT',
    path: '/v1/placements/{id}',
    summary: 'Replace a placement whole, or make a new one. It holds from the very next answer, before that of the settings.',
    key: 'admin',
    parameters: { id: Id },
    request: PlacementRequest,
    response: PlacementEntry,
    errors: ['placements_full', 'experiment_conflict', ...STORE_ERRORS],
  },
  placement_remove: {
    plane: 'control',
    method: 'DELETE',
    path: '/v1/placements/{id}',
    summary: 'Take a live change back: the placement of the settings holds again, and one that they do not have is gone.',
    key: 'admin',
    parameters: { id: Id },
    response: PlacementsResponse,
    errors: ['not_found', 'experiment_conflict', ...STORE_ERRORS],
  },
  recommend_inspect: {
    plane: 'control',
    method: 'POST',
    path: '/v1/recommend/inspect',
    summary:
      'What every stage of an answer did: candidates by source, scores, drops with their reasons. The reading is journalled, the answer is not.',
    key: 'admin',
    request: RecommendRequest,
    response: RecommendTrace,
    errors: [...STORE_ERRORS],
  },
} as const satisfies Record<string, Route>;
