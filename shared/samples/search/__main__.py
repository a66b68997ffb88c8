"""python -m shared.samples.search: the example solution, behind Envoy at search.center.localhost."""

import uvicorn

from shared.samples.search.app import application
from shared.samples.search.config import Config


def main() -> None:
    config = Config.from_env()
    uvicorn.run(application(config), host=config.bind, port=config.port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
