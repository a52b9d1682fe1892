"""What a team would write instead of Gatehouse to recommend: FastAPI and implicit's ALS, as their own guides show it.

recommend.ts starts it with uvicorn (uvloop, httptools, no access log). Settings in the environment:
    PEER_ITEMS, PEER_USERS   size of the shop
    PEER_USAGE               file to which each worker appends its process id

The model is fitted once, before it listens, to made-up purchases: as large as Gatehouse's in the same run, and as little worth. It knows nothing of what happens
afterwards, of stock, prices or filters, and it writes nothing down.
"""

import os

import implicit
import numpy
import scipy.sparse
from fastapi import FastAPI
from pydantic import BaseModel

ITEMS = int(os.environ["PEER_ITEMS"])
USERS = int(os.environ["PEER_USERS"])
FACTORS = 64
ITERATIONS = 3
ITEMS_OF_A_USER = 30


def fit():
    rng = numpy.random.default_rng(1)
    users = numpy.repeat(numpy.arange(USERS), ITEMS_OF_A_USER)
    items = (ITEMS * rng.random(len(users)) ** 3).astype(numpy.int32)
    bought = scipy.sparse.csr_matrix((numpy.ones(len(users), numpy.float32), (users, items)), shape=(USERS, ITEMS))
    model = implicit.als.AlternatingLeastSquares(factors=FACTORS, iterations=ITERATIONS, num_threads=1, random_state=1)
    model.fit(bought, show_progress=False)
    return model, bought


model, bought = fit()
app = FastAPI()


class Request(BaseModel):
    placement: str
    user_id: str
    session_id: str
    limit: int
    item_id: str | None = None


@app.on_event("startup")
def started():
    with open(os.environ["PEER_USAGE"], "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")


def number(identifier):
    return int(identifier.rsplit("-", 1)[1])


@app.post("/v1/recommend")
async def recommend(request: Request):
    if request.item_id is not None:
        ids, scores = model.similar_items(number(request.item_id), N=request.limit + 1)
        ids, scores = ids[1:], scores[1:]
    else:
        user = number(request.user_id)
        ids, scores = model.recommend(user, bought[user], N=request.limit, filter_already_liked_items=True)
    return {"items": [{"item_id": f"item-{item}", "score": float(score)} for item, score in zip(ids, scores)]}
