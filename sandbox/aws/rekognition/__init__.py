"""A Rekognition that looks: the service, its eyes, and the model behind them."""
