# The portal in a container: docker build -t aml-portal . &&
#   docker run -p 8000:8000 -v aml-portal:/data -e AML_PORTAL_URL=http://localhost:8000 aml-portal
# Runs on the portal's own machine are then runs inside of this container.

FROM python:3.11-slim AS build
WORKDIR /portal
COPY requirements.txt .
COPY examples/digits/requirements.txt examples/digits/
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir -r requirements.txt -r examples/digits/requirements.txt
COPY package.json package-lock.json .npmrc ./
COPY aml_portal/ aml_portal/
RUN mkdir static && .venv/bin/python -m aml_portal.assets && rm -rf .tools
COPY . .

FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 portal && install -d -o portal -m 700 /data
COPY --from=build /portal /portal
WORKDIR /portal
USER portal
ENV AML_PORTAL_DATA=/data AML_PORTAL_HOST=0.0.0.0 AML_PORTAL_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s \
    CMD [".venv/bin/python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=5); c.request('GET', '/sign-in/'); c.getresponse()"]
CMD [".venv/bin/python", "manage.py", "serve"]
