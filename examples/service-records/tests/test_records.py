"""Run by `sealroom service test`. What needs the database is tested where there is one."""

import json
import os
import unittest
from urllib.error import HTTPError
from urllib.request import urlopen

URL = os.environ["TEST_REMOTE_URL"]


class Records(unittest.TestCase):
    def test_is_healthy_without_its_database(self) -> None:
        with urlopen(f"{URL}/health") as answer:
            self.assertEqual(json.load(answer), {"healthy": True})

    def test_an_unknown_region_never_reaches_the_database(self) -> None:
        with self.assertRaises(HTTPError) as refused:
            urlopen(f"{URL}/count/elsewhere")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()
