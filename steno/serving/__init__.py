"""The server: transcription over HTTP in OpenAI's form, live speech over WebSocket, and the page in front of both."""
