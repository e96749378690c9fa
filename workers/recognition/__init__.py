"""Looking at images: what the workers ask of a recogniser, and Rekognition behind it."""
