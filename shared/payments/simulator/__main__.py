"""python -m shared.payments.simulator: the provider of payments on one machine."""

import uvicorn

from shared.payments.simulator.app import Simulator
from shared.payments.simulator.books import Books
from shared.payments.simulator.config import Config
from shared.payments.simulator.webhooks import Post, Webhooks


def main() -> None:
    config = Config.from_env()
    books = Books(config.home / "payments-simulator.sqlite")
    simulator = Simulator(books, Webhooks(Post(config.webhooks_through)))
    uvicorn.run(simulator.application(), host="127.0.0.1", port=config.port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
