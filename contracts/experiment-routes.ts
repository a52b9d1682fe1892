import { Id } from './event.ts';
import { CreateExperimentRequest, Experiment, ExperimentResult, ExperimentsResponse, StopExperimentRequest } from './experiment.ts';
import type { Route } from './routes.ts';

const STORE_ERRORS = ['store_unavailable', 'store_full'] as const;

/** The part of the route table that is about experiments. */
export const EXPERIMENT_ROUTES = {
  experiments: {
    plane: 'control',
    method: 'GET',
    path: '/v1/experiments',
    summary: 'List the experiments, the newest first.',
    key: 'admin',
    response: ExperimentsResponse,
    errors: [],
  },
  experiment_create: {
    plane: 'control',
    method: 'POST',
    path: '/v1/experiments',
    summary: 'Declare an experiment on a placement. Nobody sees it until it is started.',
    key: 'admin',
    request: CreateExperimentRequest,
    response: Experiment,
    status: 201,
    errors: ['experiment_conflict', 'experiments_full', ...STORE_ERRORS],
  },
  experiment_start: {
    plane: 'control',
    method: 'POST',
    path: '/v1/experiments/{id}/start',
    summary: 'Start an experiment: each visitor of the placement gets one of its variants, always the same.',
    key: 'admin',
    parameters: { id: Id },
    response: Experiment,
    errors: ['not_found', 'experiment_conflict', ...STORE_ERRORS],
  },
  experiment_stop: {
    plane: 'control',
    method: 'POST',
    path: '/v1/experiments/{id}/stop',
    summary: 'Stop an experiment: the placement is as before for everybody, and the result stays as it is.',
    key: 'admin',
    parameters: { id: Id },
    request: StopExperimentRequest,
    response: ExperimentResult,
    errors: ['not_found', 'experiment_conflict', ...STORE_ERRORS],
  },
  experiment_result: {
    plane: 'control',
    method: 'GET',
    path: '/v1/experiments/{id}/result',
    summary: 'What an experiment has shown so far, in figures that hold however often they are looked at.',
    key: 'admin',
    parameters: { id: Id },
    response: ExperimentResult,
    errors: ['not_found', 'store_unavailable'],
  },
} as const satisfies Record<string, Route>;
