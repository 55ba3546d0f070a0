"""Run by `sealroom service test`, which serves the application and says where, in TEST_REMOTE_URL."""

import json
import os
import unittest
from urllib.error import HTTPError
from urllib.request import urlopen

URL = os.environ["TEST_REMOTE_URL"]


class Service(unittest.TestCase):
    """The application over HTTP."""

    def test_is_healthy(self) -> None:
        """Says that it is well."""
        with urlopen(f"{URL}/health") as answer:
            self.assertEqual(json.load(answer), {"healthy": True})

    def test_scores_with_the_secret_weight(self) -> None:
        """Uses what is in secrets_to_seal.json."""
        with urlopen(f"{URL}/score", data=json.dumps([1, 2, 3]).encode()) as answer:
            self.assertEqual(json.load(answer), {"score": 3.0})

    def test_knows_no_other_path(self) -> None:
        """Answers 404."""
        with self.assertRaises(HTTPError) as refused:
            urlopen(f"{URL}/other")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()


if __name__ == "__main__":
    unittest.main()
